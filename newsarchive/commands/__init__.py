"""Commands that appear in ``scrapy -h``."""
