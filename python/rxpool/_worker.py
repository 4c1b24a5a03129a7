"""What a worker process has imported before its first task (see ``running.process_pool``)."""

import numpy  # noqa: F401

import rxpool._core
import rxpool.record
import rxpool.running  # noqa: F401
