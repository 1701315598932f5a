//! All the SQL.
