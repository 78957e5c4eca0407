"""Where a network looks, whether that shows what it has learnt, and a gallery of it. Maps in, pictures out."""
