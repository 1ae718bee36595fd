//! The `main` of a test binary, in each of the processes it runs in.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::error::print_notice;
use crate::order::Order;
use crate::part::Part;
use crate::runner::Runner;
use crate::{Namespace, Needs, Returns, Test, child, guest};

/// The `main` of a test binary: runs the tests that the command line selects, each in a network
/// namespace of its own, and returns the exit status of `cargo test`.
///
/// Call it first: this program is also started as the guest's first process, and once for each
/// test, and all of these run what comes before this call.
pub fn main(tests: impl IntoIterator<Item = Test>) -> ExitCode {
    guest::run_if_init();
    let tests: Vec<Test> = tests.into_iter().collect();
    match child::assigned() {
        Some(name) => child::run(|namespace| {
            let test = tests.iter().find(|test| test.name == name);
            test.map_or_else(
                || Err(format!("this binary has no test {name:?}")),
                |test| (test.body)(namespace),
            )
        }),
        None => harness(&tests),
    }
}

fn harness(tests: &[Test]) -> ExitCode {
    let arguments = Arguments::from_args();
    let mut names = BTreeSet::new();
    if let Some(twice) = tests.iter().find(|test| !names.insert(&test.name)) {
        print_notice(format!("two tests have the name {:?}", twice.name));
        return ExitCode::FAILURE;
    }
    let skip = Runner::skip_reason();
    if let Some(reason) = &skip {
        print_notice(format!("kernel tests are not run: {reason}"));
    }
    let (runner, part, order) = match from_environment() {
        Ok(chosen) => chosen,
        Err(why) => {
            print_notice(why);
            return ExitCode::FAILURE;
        }
    };
    let runner = Arc::new(runner);
    let mut trials: Vec<_> = tests
        .iter()
        .enumerate()
        .map(|(place, test)| trial(test, skip.clone().or_else(|| part.skips(place)), &runner))
        .collect();
    if order != Order::Listed && !arguments.list {
        print_notice(format!("tests run {order}"));
        order.apply(&mut trials);
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn from_environment() -> Result<(Runner, Part, Order), String> {
    let runner = Runner::new(guests(), guest::memory_from_environment()?)?;
    Ok((
        runner,
        Part::from_environment()?,
        Order::from_environment()?,
    ))
}

/// The most guests at a time: one per processor, because a guest has only one itself, but few, because
/// each takes memory.
fn guests() -> usize {
    let processors = thread::available_parallelism();
    processors.map_or(1, usize::from).min(4)
}

fn trial(test: &Test, skip: Option<String>, runner: &Arc<Runner>) -> Trial {
    let (name, needs, time_limit) = (test.name.clone(), test.needs, test.time_limit);
    let (companion, runner) = (test.companion.clone(), Arc::clone(runner));
    Trial::ignorable_test(test.name.clone(), move || {
        if let Some(reason) = skip {
            return Ok(Completion::ignored_with(reason));
        }
        let result = match &companion {
            Some(companion) => runner.run_beside(&name, time_limit, companion),
            None => runner.run(&name, needs, time_limit),
        };
        match result {
            Ok(Ok(())) => Ok(Completion::Completed),
            Ok(Err(failure)) => Err(Failed::from(failure)),
            Err(error) => Err(Failed::from(error)),
        }
    })
    .with_ignored_flag(test.ignored)
}

/// The `main` of another program, such as a benchmark: runs it where [`main`] would run a test with these
/// needs, with the same arguments, output and environment. The exit status is 0, or 101 if it fails.
///
/// Call it first, like [`main`].
pub fn exec<R: Returns>(needs: Needs, program: impl FnOnce() -> R) -> ExitCode {
    exec_with_memory(needs, guest::MEBIBYTES, program)
}

/// Like [`exec`], but a guest gets `mebibytes` MiB of memory.
///
/// Memory that the guest never uses takes none on this machine, but `/dev/shm`, or else the folder for temporary files,
/// must have room for all of it.
pub fn exec_with_memory<R: Returns>(
    needs: Needs,
    mebibytes: u64,
    program: impl FnOnce() -> R,
) -> ExitCode {
    exec_on(Runner::new(1, mebibytes), needs, program)
}

/// Runs another program under Debian's kernel, in a guest with `mebibytes` MiB of memory and one processor whose clock
/// counts instructions: it advances one nanosecond for each. A time measured there is a number of instructions, and does
/// not depend on what else this machine does. It contains no cost of a cache that misses.
///
/// Call it first, like [`main`].
pub fn exec_counting_instructions<R: Returns>(
    mebibytes: u64,
    program: impl FnOnce() -> R,
) -> ExitCode {
    let runner = Runner::new(1, mebibytes).map(Runner::counting_instructions);
    exec_on(runner, Needs::Debian, program)
}

fn exec_on<R: Returns>(
    runner: Result<Runner, String>,
    needs: Needs,
    program: impl FnOnce() -> R,
) -> ExitCode {
    guest::run_if_init();
    if child::assigned().is_some() {
        return child::run(|_: &Namespace| program().into_result());
    }
    let run = |runner: Runner| match runner.run("", needs, Duration::MAX) {
        Ok(outcome) => outcome,
        Err(error) => Err(error.to_string()),
    };
    match runner.and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            print_notice(why);
            ExitCode::from(101)
        }
    }
}
