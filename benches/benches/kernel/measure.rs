//! Measuring several ways to do the same in turn, so that what disturbs one disturbs all.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// One way to do it.
pub(crate) struct Way<'a> {
    name: &'static str,
    repetitions: usize,
    run: Box<dyn Fn() -> Duration + 'a>,
    calls: Option<f64>,
}

impl<'a> Way<'a> {
    /// One that is done so often. `run` does it once and returns the time it took.
    pub(crate) fn new(
        name: &'static str,
        repetitions: usize,
        run: impl Fn() -> Duration + 'a,
    ) -> Self {
        Self {
            name,
            repetitions,
            run: Box::new(run),
            calls: None,
        }
    }

    /// Says how many system calls it takes for each object, where that is known.
    pub(crate) fn calls(self, calls: Option<f64>) -> Self {
        Self { calls, ..self }
    }
}

/// A way and the times it took, sorted.
pub(crate) struct Measured {
    name: &'static str,
    calls: Option<f64>,
    times: Vec<Duration>,
}

impl Measured {
    /// The shortest time, which other programs disturbed least.
    pub(crate) fn min(&self) -> Duration {
        self.times.first().copied().unwrap_or_default()
    }

    /// The time in the middle.
    pub(crate) fn median(&self) -> Duration {
        self.times
            .get(self.times.len() / 2)
            .copied()
            .unwrap_or_default()
    }
}

/// Does all of them, one after the other, again and again.
pub(crate) fn measure(ways: Vec<Way<'_>>) -> Vec<Measured> {
    let mut measured = Vec::new();
    let mut ways: Vec<_> = ways.into_iter().map(|way| (way, Vec::new())).collect();
    let rounds = ways.iter().map(|(way, _)| way.repetitions).max();
    for round in 0..rounds.unwrap_or_default() {
        for (way, times) in &mut ways {
            if round < way.repetitions {
                let time = (way.run)();
                eprintln!(
                    "{} of {}: {}: {time:.1?}",
                    round + 1,
                    way.repetitions,
                    way.name
                );
                times.push(time);
            }
        }
    }
    for (way, mut times) in ways {
        times.sort();
        measured.push(Measured {
            name: way.name,
            calls: way.calls,
            times,
        });
    }
    measured
}

/// A bound on how one time relates to another.
pub(crate) struct Target {
    /// What is compared.
    pub(crate) what: &'static str,
    /// The ratio of the shortest times, and that of the medians.
    pub(crate) ratios: [f64; 2],
    /// The bound.
    pub(crate) bound: Bound,
}

/// On which side of a number to be.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

impl Target {
    /// How many times as long the first takes as the second.
    pub(crate) fn ratio(
        what: &'static str,
        one: &Measured,
        other: &Measured,
        bound: Bound,
    ) -> Self {
        let ratios = [
            one.min().as_secs_f64() / other.min().as_secs_f64(),
            one.median().as_secs_f64() / other.median().as_secs_f64(),
        ];
        Self {
            what,
            ratios,
            bound,
        }
    }

    /// System calls for each object.
    pub(crate) fn calls(what: &'static str, way: &Measured, bound: Bound) -> Self {
        Self {
            what,
            ratios: [way.calls.unwrap_or(f64::INFINITY); 2],
            bound,
        }
    }

    fn is_met(&self) -> bool {
        // The shortest times decide: the medians hold what else the machine did.
        let [ratio, _] = self.ratios;
        match self.bound {
            Bound::AtMost(bound) => ratio <= bound,
            Bound::AtLeast(bound) => ratio >= bound,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, bound) = match self.bound {
            Bound::AtMost(bound) => ('≤', bound),
            Bound::AtLeast(bound) => ('≥', bound),
        };
        let [min, median] = self.ratios;
        let met = if self.is_met() { "met" } else { "**not met**" };
        let what = self.what;
        write!(
            f,
            "| {what} | {min:.3} | {median:.3} | {sign} {bound} | {met} |"
        )
    }
}

/// The table of the times; ratios are those to the first row.
pub(crate) fn table(measured: &[Measured], objects: u32) -> String {
    let mut text = String::from(
        "| | repetitions | min ms | median ms | min µs per object | to the first (min) | (median) | system calls per object |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    for way in measured {
        let calls = way.calls.map_or("".into(), |calls| format!("{calls:.4}"));
        let first = measured.first().unwrap_or(way);
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} | {:.2} | {:.3} | {:.2} | {:.2} | {calls} |",
            way.name,
            way.times.len(),
            milliseconds(way.min()),
            milliseconds(way.median()),
            way.min().as_secs_f64() * 1e6 / f64::from(objects),
            way.min().as_secs_f64() / first.min().as_secs_f64(),
            way.median().as_secs_f64() / first.median().as_secs_f64(),
        );
    }
    text
}
