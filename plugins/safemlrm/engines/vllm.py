"""vLLM inside this process: tensor parallel, pictures, prefix caching."""
