"""For the tests of applications that use Tidewire."""
