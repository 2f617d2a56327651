"""Python job queues on PostgreSQL beside which the service is measured: a program each, in an environment of their own.

They run with requirements/peers.lock (`make bench-full` installs it), so that nothing here but `program` is imported by
them, nor they by anything else.
"""
