"""Any server that speaks the chat API of OpenAI: many requests at once, over one or more addresses."""
