//! The log: readable on a terminal or in a file, with fields in systemd's journal, and passed on
//! to those who listen for `logging` events.

use std::{collections::BTreeMap, fmt, io::IsTerminal};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::LevelFilter,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

use crate::{
    api::objects::Logging,
    error::{Error, Result},
    operations::Events,
};

/// Begins to log what `level` lets through: a level's name, or a filter such as
/// `lximaged=debug,sqlx=warn`. Listeners get everything of this program, whatever the level.
pub(super) fn start(level: &str, events: Events) -> Result<()> {
    let filter = || {
        EnvFilter::builder()
            .with_default_directive(LevelFilter::INFO.into())
            .parse(level)
            .map_err(|error| Error::internal(format!("{level:?} is no log level"), error))
    };
    let journal = logs_to_journal()
        .then(|| tracing_journald::layer().ok())
        .flatten();
    let terminal = journal.is_none().then(|| {
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
    });
    let listeners =
        Listeners(events).with_filter(EnvFilter::builder().parse_lossy("off,lximaged=debug"));
    Registry::default()
        .with(
            journal
                .map(|layer| Ok::<_, Error>(layer.with_filter(filter()?)))
                .transpose()?,
        )
        .with(
            terminal
                .map(|layer| Ok::<_, Error>(layer.with_filter(filter()?)))
                .transpose()?,
        )
        .with(listeners)
        .try_init()
        .map_err(|error| Error::internal("Logging is set up already", error))
}

/// Whether standard error is the journal, as systemd tells.
fn logs_to_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Passes lines on as events.
struct Listeners(Events);

impl<S: Subscriber> Layer<S> for Listeners {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if !self.0.has_listeners() {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = level_name(*event.metadata().level());
        let Fields { message, context } = fields;
        self.0.logging(&Logging {
            message,
            level,
            context,
        });
    }
}

/// LXD's name of a level; `lxc monitor` stops at one it does not know.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        _ => "debug",
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    context: BTreeMap<String, String>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, format!("{value:?}"));
    }
}

impl Fields {
    fn keep(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => drop(self.context.insert(name.to_owned(), value)),
        }
    }
}
