"""Does the gate cry wolf, does it see a rise, and what does it cost? Simulated builds.

Rates come from the embedded models' truth pool and, where the file lies beside the repository, from
the seed's published cells. Family, zones, stopping, decision and confirmation are those a run uses;
only the responses are drawn. Run: python -m plugins.benchmarks.gate [BUILDS]
"""
