"""Where runs are recorded: MLflow through explicit run ids, or nowhere."""
