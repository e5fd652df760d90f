"""What happens to an article, one module and one job each."""
