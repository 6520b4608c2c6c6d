-- inbox.outcome: the stored outcomes of messages.
SELECT uid, answer::text FROM {schema}.mq_outcome WHERE uid = ANY ($1::uuid[])
