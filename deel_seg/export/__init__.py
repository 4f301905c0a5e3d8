"""Networks with their certificates, written for other runtimes."""

__all__: list[str] = []
