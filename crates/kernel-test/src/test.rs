//! A test: its name, what it needs, its body.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::Namespace;
use crate::link::Companion;

/// What a test needs of the kernel, which decides where it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Needs {
    /// IPVS and everything that goes with it (dummy links, veth, ipset, legacy iptables). The test runs on
    /// this machine if this process is root and the kernel has IPVS, else in the guest.
    #[default]
    Ipvs,
    /// The same, but a kernel of its own: for tests that unload modules, or change what else belongs to no namespace. The test runs
    /// in the guest even where this machine has IPVS, one at a time, unless `PROXIER_KERNEL_TESTS_IN=here` asks for this machine.
    OwnKernel,
    /// A network namespace of this machine's kernel, never the guest's: directly as root, otherwise in
    /// a user namespace. The test itself finds out whether this kernel has ipset, nftables, …
    NetNamespace,
    /// nf_tables, in a network namespace: of this machine's kernel, or of Debian's kernel in QEMU if
    /// `PROXIER_KERNEL_TESTS_IN=debian` asks for it. Never of User Mode Linux, which lacks it.
    NfTables,
    /// Debian's kernel, emulated by QEMU: two processors, IPVS and nf_tables. Everything takes several
    /// times as long there, and the test's time limit is five times as long.
    Debian,
}

/// A test that runs in a network namespace of its own. Made by [`tests!`](crate::tests) or
/// [`Test::new`].
pub struct Test {
    pub(crate) name: String,
    pub(crate) needs: Needs,
    pub(crate) time_limit: Duration,
    pub(crate) ignored: bool,
    pub(crate) companion: Option<Companion>,
    pub(crate) body: TestBody,
}

type TestBody = Box<dyn Fn(&Namespace) -> Result<(), String> + Send + Sync>;

impl Test {
    /// A test of this name, which needs [`Needs::Ipvs`] and may take five minutes: the machine may be busy with something else.
    pub fn new<Shape>(name: impl Into<String>, body: impl Body<Shape>) -> Self {
        Self {
            name: name.into(),
            needs: Needs::default(),
            time_limit: Duration::from_secs(300),
            ignored: false,
            companion: None,
            body: Box::new(move |namespace| body.run(namespace)),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets what the test needs.
    #[must_use]
    pub fn needs(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }

    /// Sets how long the test may take. When the time is over, it is killed and has failed.
    #[must_use]
    pub fn time_limit(self, time_limit: Duration) -> Self {
        Self { time_limit, ..self }
    }

    /// Runs the test in a guest of its own, User Mode Linux, that a [`Link`](crate::Link) connects with this machine, whatever it
    /// needs. `companion` is called on this machine first, in a network namespace with nothing but the link, which threads and
    /// programs that it starts are in too; what it gives is dropped when the test has ended.
    ///
    /// It takes root and `/dev/net/tun`.
    #[must_use]
    pub fn beside<T: Send + 'static>(
        self,
        companion: impl Fn() -> T + Send + Sync + 'static,
    ) -> Self {
        Self {
            companion: Some(Arc::new(move || Box::new(companion()))),
            ..self
        }
    }

    /// Marks the test as ignored: only `--ignored` or `--include-ignored` runs it.
    #[must_use]
    pub fn ignored(self) -> Self {
        Self {
            ignored: true,
            ..self
        }
    }
}

/// Makes a [`Test`] of each function, named like it: `tests![round_trip, flush::empties]`.
///
/// Returns an array, so that `map` can set options for all of them:
/// `tests![nft].map(|test| test.needs(Needs::NetNamespace))`.
#[macro_export]
macro_rules! tests {
    ($($function:path),* $(,)?) => {
        [$($crate::Test::new(::core::stringify!($function).replace(' ', ""), $function)),*]
    };
}

/// The body of a test: a function or closure that takes nothing or the [`&Namespace`](Namespace) it
/// runs in, and returns a type that implements [`Returns`]. `Shape` distinguishes the two and is never
/// written out.
pub trait Body<Shape>: Send + Sync + 'static {
    /// Runs the test.
    ///
    /// # Errors
    /// The test's failure, as text.
    fn run(&self, namespace: &Namespace) -> Result<(), String>;
}

impl<F, R> Body<fn() -> R> for F
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Returns,
{
    fn run(&self, _: &Namespace) -> Result<(), String> {
        self().into_result()
    }
}

impl<F, R> Body<fn(&Namespace) -> R> for F
where
    F: Fn(&Namespace) -> R + Send + Sync + 'static,
    R: Returns,
{
    fn run(&self, namespace: &Namespace) -> Result<(), String> {
        self(namespace).into_result()
    }
}

/// A type that a test may return: nothing, or a `Result` with any error.
pub trait Returns {
    /// Converts the failure to a text that ends with the errors that caused it.
    ///
    /// # Errors
    /// The text, if the test failed.
    fn into_result(self) -> Result<(), String>;
}

impl Returns for () {
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: Into<Box<dyn Error>>> Returns for Result<(), E> {
    fn into_result(self) -> Result<(), String> {
        self.map_err(|error| {
            let error = error.into();
            let mut text = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                text = format!("{text}\n  caused by: {cause}");
                source = cause.source();
            }
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[from] std::fmt::Error);

    #[test]
    fn a_failure_names_its_causes() {
        let failed: Result<(), Outer> = Err(std::fmt::Error.into());
        let text = failed.into_result().unwrap_err();
        assert!(text.starts_with("outer\n  caused by: an error"), "{text}");
        assert_eq!(Err::<(), _>("plain").into_result(), Err("plain".to_owned()));
        assert_eq!(Ok::<(), String>(()).into_result(), Ok(()));
    }

    mod inner {
        pub(super) fn takes_the_namespace(_: &crate::Namespace) -> Result<(), String> {
            Ok(())
        }
    }

    fn takes_nothing() {}

    #[test]
    fn tests_are_named_like_their_functions() {
        let tests = crate::tests![takes_nothing, inner::takes_the_namespace];
        let names = tests.map(|test| test.name);
        assert_eq!(names, ["takes_nothing", "inner::takes_the_namespace"]);
    }
}
