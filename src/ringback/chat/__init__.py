"""Live chat of a website's visitors with operators: its course, the visitors' sockets, and what comes of chats nobody takes."""
