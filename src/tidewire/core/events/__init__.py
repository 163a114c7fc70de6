"""Events as clients see them: which queues accept one, in which form, and as which bytes."""
