//! Settings as tables: server keys, project keys, instance and profile keys, devices.
