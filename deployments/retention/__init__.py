"""How long history is kept: payloads go before rows, in small batches, and nothing goes that nobody asked for."""
