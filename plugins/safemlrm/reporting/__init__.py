"""Everything that shows decisions: records, the run's outcome, the terminal, summary.json."""
