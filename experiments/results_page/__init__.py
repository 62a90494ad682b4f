"""The page of results: Markdown and pictures, made of the JSON files that experiments and benchmarks kept."""
