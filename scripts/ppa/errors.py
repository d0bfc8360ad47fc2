"""What stops the flow although its input is right."""


class FlowError(RuntimeError):
    """A tool refused what the flow gave it, or a netlist is wrong; the message is one line."""
