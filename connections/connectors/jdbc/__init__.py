"""The connector of any system with a JDBC driver."""
