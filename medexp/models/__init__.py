"""Networks (a function each, returning a stock keras.Model) and the module that trains them."""
