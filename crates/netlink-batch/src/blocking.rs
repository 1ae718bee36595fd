//! The blocking driver of what is written as futures.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Runs a future to its end on this thread.
///
/// Over a blocking [`Transport`](crate::Transport) every future of this crate is ready when it is polled
/// first. Otherwise the thread sleeps until the transport wakes it.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
        return output;
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Makes methods of an async type, and the same of the blocking type that wraps it in a tuple structure: the
/// latter run the former with [`block_on`](crate::block_on).
///
/// For this project's clients. Its form may change in any version.
#[doc(hidden)]
#[macro_export]
macro_rules! methods {
    (
        $blocking:ident, $asynchronous:ident;
        $(
            $(#[$meta:meta])*
            pub async fn $name:ident $(<$($generic:tt),+>)? (
                &mut $self:ident $(, $argument:ident : $type:ty)* $(,)?
            ) -> $output:ty
            $(where $parameter:ident : $bound:path,)?
            $body:block
        )*
    ) => {
        impl<T: $crate::AsyncTransport> $asynchronous<T> {
            $(
                $(#[$meta])*
                pub async fn $name $(<$($generic),+>)? (
                    &mut $self $(, $argument: $type)*
                ) -> $output
                $(where $parameter: $bound)?
                $body
            )*
        }

        impl<T: $crate::AsyncTransport> $blocking<T> {
            $(
                $(#[$meta])*
                pub fn $name $(<$($generic),+>)? (
                    &mut $self $(, $argument: $type)*
                ) -> $output
                $(where $parameter: $bound)?
                {
                    $crate::block_on($self.0.$name($($argument),*))
                }
            )*
        }
    };
}
