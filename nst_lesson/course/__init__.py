"""Run the lessons, show them as pages, hand them out, check the machine. Needs the extra `lab`."""
