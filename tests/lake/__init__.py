"""The lake of Iceberg tables: its parts, and every order of the steps of several sessions."""
