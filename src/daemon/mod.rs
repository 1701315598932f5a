//! Assembly: configuration, services, recovery, lifecycle, logging.
