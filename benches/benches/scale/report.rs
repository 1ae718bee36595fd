//! The page of results, and its plots.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use benches::machine;

use crate::figures::{Figures, Unit, grouped, rounded};
use crate::plot::Plot;
use crate::{apply, codec, steps};

const WHOLE: &[&str] = &[
    steps::TRANSLATE,
    steps::FROM_NOTHING,
    steps::UNCHANGED,
    steps::ENGINE,
    steps::AUDIT,
];
const CHANGE: &[&str] = &[
    steps::ONE,
    steps::RUSH,
    steps::ADDED,
    steps::REMOVED,
    steps::MANY,
    steps::UNCHANGED,
    apply::STEP,
];
const CODEC: &[&str] = &[
    codec::ENCODE,
    codec::ENCODE_NLRS,
    codec::ENCODE_PACKET,
    codec::COPY,
    codec::DECODE,
    codec::WALK,
];
const APPLY: &[&str] = &[
    apply::APPLY,
    apply::FLOOR,
    apply::SERVERS,
    apply::FLOOR_SERVERS,
    apply::ADDRESSES,
    apply::FLOOR_ADDRESSES,
];

const PLOTS: [Plot<'_>; 4] = [
    Plot {
        file: "scale-change.svg",
        title: "One change",
        across: "Services, 10 endpoints each",
        unit: Unit::Microseconds,
        rows: CHANGE,
    },
    Plot {
        file: "scale-whole.svg",
        title: "All Services",
        across: "Services, 10 endpoints each",
        unit: Unit::Milliseconds,
        rows: WHOLE,
    },
    Plot {
        file: "scale-codec.svg",
        title: "IPVS messages for all Services",
        across: "Services, 10 endpoints each",
        unit: Unit::Milliseconds,
        rows: CODEC,
    },
    Plot {
        file: "scale-apply.svg",
        title: "A kernel programmed from nothing",
        across: "Services, 10 endpoints each",
        unit: Unit::Milliseconds,
        rows: APPLY,
    },
];

/// The tables, with what they are of.
pub(crate) fn text(figures: &Figures, sizes: &[u32], counts: &[String]) -> String {
    let mut text = format!(
        "# Costs against the number of Services\n\n\
         `cargo bench -p benches --bench scale` on {}, {}; load averages at the end of the run: {}. Services have 10 \
         endpoints each, every tenth on the node itself. Processors were shared with other work: only times of one run \
         compare, and they say what was reached, not what can be. Times are medians, but where it says otherwise.\n\n",
        machine::name(),
        date(),
        machine::load(),
    );
    let milliseconds = Unit::Milliseconds;
    let _ = write!(
        text,
        "## One change\n\n{}\n\
         The engine's step is the change taken in, the plan made, its outcome believed; the sizes take turns, 40 steps \
         each, so that caches are not kept warm by one of them, but for steps again and again. Beside it, what a proxy does that \
         looks at everything. The last line is that step carried out by a kernel (in the guest, below).\n\n\
         ## All Services\n\n{}\n\
         ## IPVS messages\n\n{}\n\
         Writing: a request for each virtual server and each destination, into a buffer that is used again (but by \
         netlink-packet-ipvs). Reading: a reply for each destination, with its statistics.\n\n\
         ## A kernel programmed from nothing\n\n{}",
        figures.table(CHANGE, sizes, Unit::Microseconds),
        figures.table(WHOLE, sizes, milliseconds),
        figures.table(CODEC, sizes, milliseconds),
        applied(figures),
    );
    text += "\nThe shortest of a few times. Where the kernel has no IPVS, in a User Mode Linux guest of one processor and 6 \
             GiB, whose system calls and memory are dearer than a machine's. Ours holds all of it: settings, link, sets, \
             rules (two runs of `iptables-restore`), virtual servers and addresses, each with its result. The floor is \
             set members, virtual servers and addresses alone, ready-made; of the answers it looks at no more than whether one is a refusal.\n\n\
             ## Counts\n\n| | |\n|---|--:|\n";
    for row in counts {
        text += row;
        text.push('\n');
    }
    text + "\nInstructions (callgrind) are those of the step itself; those of `translate`, and allocations (dhat), are differences \
           of two runs, what makes the changes taken off. System calls are those of planning and applying a change, counted by strace, but for those that \
           have memory from the kernel.\n"
}

/// What the full path and the engine take.
pub(crate) fn engine(figures: &Figures, sizes: &[u32]) -> String {
    let (change, whole) = (Unit::Microseconds, Unit::Milliseconds);
    figures.table(CHANGE, sizes, change) + "\n" + &figures.table(WHOLE, sizes, whole)
}

/// How long a kernel takes, and how often the floor that is.
pub(crate) fn applied(figures: &Figures) -> String {
    let sizes = figures.sizes(APPLY);
    let mut text = figures.table(APPLY, &sizes, Unit::Milliseconds) + "\n";
    for (what, ours, floor) in [
        ("the whole plan", apply::APPLY, apply::FLOOR),
        (apply::SERVERS, apply::SERVERS, apply::FLOOR_SERVERS),
        (apply::ADDRESSES, apply::ADDRESSES, apply::FLOOR_ADDRESSES),
    ] {
        for services in &sizes {
            let times = [ours, floor].map(|name| figures.seconds(name, *services));
            if let [Some(ours), Some(floor)] = times {
                let (services, ratio) = (grouped(services), rounded(ours / floor));
                let _ = writeln!(
                    text,
                    "- {services} Services, {what}: {ratio} times the floor"
                );
            }
        }
    }
    text
}

/// Writes the page and the plots.
///
/// # Errors
/// Those of writing files.
pub(crate) fn keep(figures: &Figures, text: &str) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/results"));
    let mut page = text.to_owned();
    for plot in &PLOTS {
        if plot.write(figures, folder)? {
            let _ = write!(page, "\n![{}]({})\n", plot.title, plot.file);
        }
    }
    fs::write(folder.join("scale.md"), page)?;
    Ok(())
}

/// Today, as `date` says.
fn date() -> String {
    let output = Command::new("date").arg("+%Y-%m-%d").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "on a day unknown".into())
}
