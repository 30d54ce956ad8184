"""The report: queries and pictures of the star, and the page they are put on."""
