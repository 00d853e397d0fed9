"""The connector of Snowflake."""
