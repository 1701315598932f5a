//! The log: readable on a terminal or in a file, with fields in systemd's journal, and passed on
//! to those who listen for `logging` events.

use std::{collections::BTreeMap, fmt, io::IsTerminal};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    field::MakeExt,
    filter::LevelFilter,
    fmt::format::{Writer, debug_fn},
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
///
/// # Errors
///
/// When `level` is neither.
pub(super) fn start(level: &str, events: Events) -> Result<()> {
    let journal = logs_to_journal()
        .then(|| tracing_journald::layer().ok())
        .flatten();
    let terminal = journal.is_none().then(|| {
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .compact()
            .fmt_fields(debug_fn(write_field).delimited(" "))
    });
    let listeners =
        Listeners(events).with_filter(EnvFilter::builder().parse_lossy("off,lximaged=debug"));
    Registry::default()
        .with(journal.with_filter(filter(level)?))
        .with(terminal.with_filter(filter(level)?))
        .with(listeners)
        .try_init()
        .map_err(|error| Error::internal("Logging is set up already", error))
}

/// Writes a field as it is always written, but on one line: what clients and images say must not
/// look like a line of ours, nor move a terminal's cursor.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let value = on_one_line(&format!("{value:?}"));
    match field.name() {
        "message" => writer.write_str(&value),
        name => write!(writer, "{name}={value}"),
    }
}

fn on_one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// What a level or filter lets through. A word that is no level would be taken for the name of a
/// part, and everything else would fall silent.
fn filter(level: &str) -> Result<EnvFilter> {
    let refusal = || {
        format!(
            "{level:?} is no log level; there are error, warn, info, debug and trace, \
             and filters such as lximaged=debug"
        )
    };
    let is_directive = |part: &str| part.contains(['=', '[']);
    let mut parts = level.split(',').filter(|part| !part.is_empty());
    if !parts.all(|part| is_directive(part) || part.parse::<LevelFilter>().is_ok()) {
        return Err(Error::failed(refusal()));
    }
    EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(level)
        .map_err(|error| Error::internal(refusal(), error))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn levels_and_filters_are_taken() {
        let cases = [
            ("", "info"),
            ("debug", "debug"),
            ("WARN", "warn"),
            ("off", "off"),
            ("lximaged=debug,sqlx=warn", "lximaged=debug,sqlx=warn"),
        ];
        for (level, expected) in cases {
            let mut parts: Vec<_> = filter(level)
                .unwrap()
                .to_string()
                .split(',')
                .map(str::to_owned)
                .collect();
            parts.sort();
            assert_eq!(parts.join(","), expected, "{level:?}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_rather_than_silencing_the_log() {
        for level in ["verbose", "lximaged", "info,verbose", "lximaged=loud"] {
            let error = filter(level).unwrap_err();
            let start = format!("{level:?} is no log level");
            assert!(error.message().starts_with(&start), "{error}");
        }
    }

    #[test]
    fn what_is_logged_stays_on_its_line() {
        let said = "a\nb\r\u{1b}[31m\u{2028}ä \u{0}";
        assert_eq!(on_one_line(said), r"a\nb\r\u{1b}[31m\u{2028}ä \u{0}");
    }

    #[test]
    fn lines_reach_listeners_with_lxds_levels_and_their_fields() {
        let events = Events::new(Clock::System);
        let mut listener = events.subscribe();
        let log = Registry::default().with(Listeners(events));
        tracing::subscriber::with_default(log, || {
            tracing::warn!(size_bytes = 7, name = "x", "it is full");
            tracing::trace!("a detail");
        });
        let mut next = || -> serde_json::Value {
            let message = listener.try_recv().unwrap();
            serde_json::from_str(&message.text).unwrap()
        };
        let expected = serde_json::json!({
            "message": "it is full",
            "level": "warning",
            "context": {"name": "x", "size_bytes": "7"},
        });
        assert_eq!(next()["metadata"], expected);
        assert_eq!(next()["metadata"]["level"], "debug");
    }
}
