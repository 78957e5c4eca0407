"""The one door from YAML to objects: register, load (all problems at once), instantiate."""
