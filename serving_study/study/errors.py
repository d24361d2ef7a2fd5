"""The one error a user causes and can mend."""


class StudyError(Exception):
    """A bad input or a failed step, told so that the reader can act.

    The message names file (or server), key, value, the rule that was broken and what to do next, in that order:
    ``config/studies/cpu.yaml: deployments.vllm.slots = 0: must be at least 1``.
    The command line prints it without a stack trace and exits with status 2.
    """
