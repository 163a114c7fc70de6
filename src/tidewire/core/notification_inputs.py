"""Names of the members by which an application says who is to be notified of a message, and how.

They are for the server alone: a client must never get them (R4.19, R4.20).
"""

NOTIFICATION_INPUTS: frozenset[str] = frozenset(
    {
        # R4.6
        "presence_idle_user_ids",
        "online_push_user_ids",
        "dm_mention_push_disabled_user_ids",
        "dm_mention_email_disabled_user_ids",
        "stream_push_user_ids",
        "stream_email_user_ids",
        "topic_wildcard_mention_user_ids",
        "stream_wildcard_mention_user_ids",
        "followed_topic_push_user_ids",
        "followed_topic_email_user_ids",
        "topic_wildcard_mention_in_followed_topic_user_ids",
        "stream_wildcard_mention_in_followed_topic_user_ids",
        "muted_sender_user_ids",
        "all_bot_user_ids",
        "push_device_registered_user_ids",
        "disable_external_notifications",
        # R4.7: older names of the same
        "pm_mention_push_disabled_user_ids",
        "pm_mention_email_disabled_user_ids",
        "wildcard_mention_user_ids",
        # R4.20: for edits only
        "push_notify_user_ids",
        "prior_mention_user_ids",
    }
)
