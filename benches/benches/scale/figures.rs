//! What was measured, and the tables of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Times by what was done and for how many Services, in the order in which they were first noted.
#[derive(Default)]
pub(crate) struct Figures {
    rows: Vec<Row>,
}

/// What was done, and the seconds that took for so many Services.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) seconds: BTreeMap<u32, f64>,
}

impl Figures {
    /// Notes how long something took.
    pub(crate) fn note(&mut self, name: &str, services: u32, time: Duration) {
        let seconds = time.as_secs_f64();
        eprintln!("{services:>6} Services: {name}: {time:.1?}");
        if let Some(row) = self.rows.iter_mut().find(|row| row.name == name) {
            row.seconds.insert(services, seconds);
        } else {
            self.rows.push(Row {
                name: name.to_owned(),
                seconds: [(services, seconds)].into(),
            });
        }
    }

    /// What was noted under these names, as far as there is any.
    pub(crate) fn rows<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a Row> {
        let row = |name: &&str| self.rows.iter().find(|row| row.name == *name);
        names.iter().filter_map(row)
    }

    /// For how many Services there are times under these names.
    pub(crate) fn sizes(&self, names: &[&str]) -> Vec<u32> {
        let sizes = self.rows(names).flat_map(|row| row.seconds.keys().copied());
        sizes.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A time that was noted.
    pub(crate) fn seconds(&self, name: &str, services: u32) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.name == name)?;
        row.seconds.get(&services).copied()
    }

    /// A table of some rows in a unit.
    pub(crate) fn table(&self, names: &[&str], sizes: &[u32], unit: Unit) -> String {
        let mut text = format!("| {} |", unit.name());
        sizes
            .iter()
            .for_each(|services| text += &format!(" {} |", grouped(services)));
        text += "\n|---|";
        sizes.iter().for_each(|_| text += "--:|");
        for row in self.rows(names) {
            let _ = write!(text, "\n| {} |", row.name);
            for services in sizes {
                let _ = match row.seconds.get(services) {
                    Some(seconds) => write!(text, " {} |", rounded(unit.of(*seconds))),
                    None => write!(text, " |"),
                };
            }
        }
        text + "\n"
    }

    /// One line for each time, for another process to [read](Self::read).
    pub(crate) fn lines(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            for (services, seconds) in &row.seconds {
                let _ = writeln!(text, "{services}\t{seconds}\t{}", row.name);
            }
        }
        text
    }

    /// Takes in what another process wrote.
    pub(crate) fn read(&mut self, lines: &str) {
        for line in lines.lines() {
            let mut words = line.splitn(3, '\t');
            let services = words.next().and_then(|word| word.parse().ok());
            let seconds = words.next().and_then(|word| word.parse().ok());
            if let (Some(services), Some(seconds), Some(name)) = (services, seconds, words.next()) {
                self.note(name, services, Duration::from_secs_f64(seconds));
            }
        }
    }
}

/// What times are written in.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Milliseconds,
    Microseconds,
    /// How many of it there are in a second.
    EachSecond,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Microseconds => "µs",
            Self::EachSecond => "a second",
        }
    }

    /// A time in this unit.
    pub(crate) fn of(self, seconds: f64) -> f64 {
        match self {
            Self::Milliseconds => seconds * 1e3,
            Self::Microseconds => seconds * 1e6,
            Self::EachSecond => 1.0 / seconds,
        }
    }
}

/// The time in the middle of so many rounds. `work` is given a new input each time, and neither making that nor
/// dropping what comes of it is timed.
pub(crate) fn median<I, O>(
    rounds: usize,
    mut input: impl FnMut() -> I,
    mut work: impl FnMut(I) -> O,
) -> Duration {
    let times = (0..rounds)
        .map(|_| {
            let input = input();
            let start = Instant::now();
            let output = std::hint::black_box(work(input));
            let time = start.elapsed();
            drop(output);
            time
        })
        .collect();
    middle(times)
}

/// The time in the middle of these.
pub(crate) fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// With commas.
pub(crate) fn grouped(number: &impl ToString) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// To three digits or so.
pub(crate) fn rounded(number: f64) -> String {
    match number {
        1000.0.. => grouped(&format!("{number:.0}")),
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        1.0.. => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}
