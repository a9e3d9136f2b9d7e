"""What grade needs: hand-ins, a process for each, a judge with cases of its own, and the page."""
