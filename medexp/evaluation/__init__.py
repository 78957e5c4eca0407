"""What a trained model is worth: metrics, operating point, pictures. Arrays in, numbers out; no framework here."""
