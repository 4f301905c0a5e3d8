"""Networks with their certificates, written for other runtimes."""
