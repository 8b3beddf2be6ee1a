//! [`register!`](crate::register): which functions of a crate are the plugin's hooks and policies.

/// Makes functions the plugin's hooks and policies.
///
/// Each of these may stand in it once; the component exports exactly what is there:
///
/// | key | function |
/// |---|---|
/// | `pre_sync` | `fn(&RunContext) -> Result<Decision>` |
/// | `post_sync` | `fn(&RunContext, &RunOutcome) -> Result<Verdict>` |
/// | `pick` | `fn(&View) -> Result<Vec<u32>>` |
/// | `next_delay` | `fn(&Finished) -> Result<Duration>` |
///
/// `pick` and `next_delay` are one interface: where only one of them is given, the other leaves things as they are.
///
/// ```
/// use heliostat_plugin::{Decision, Result, RunContext, RunOutcome, Verdict, register};
///
/// fn before(run: &RunContext) -> Result<Decision> {
///     Ok(if run.attempt > 3 { Decision::veto("three attempts are enough") } else { Decision::Proceed })
/// }
///
/// fn after(_: &RunContext, _: &RunOutcome) -> Result<Verdict> {
///     Ok(Verdict::Accept)
/// }
///
/// register!(pre_sync: before, post_sync: after);
/// ```
#[macro_export]
macro_rules! register {
    ($($all:tt)+) => { $crate::__register!([] [] $($all)+); };
}

/// Takes one key after the other, and keeps both halves of a policy until the end.
#[doc(hidden)]
#[macro_export]
macro_rules! __register {
    ([$($pick:path)?] [$($next:path)?] pre_sync: $function:path $(, $($rest:tt)*)?) => {
        const _: fn(&$crate::RunContext) -> $crate::Result<$crate::Decision> = $function;
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Plugin;
            impl $crate::__private::pre::exports::heliostat::plugin::pre_hook::Guest for Plugin {
                fn pre_sync(run: $crate::RunContext) -> ::core::result::Result<$crate::Decision, $crate::HookError> {
                    $crate::__private::start();
                    $function(&run).map_err(::core::convert::Into::into)
                }
            }
            $crate::__private::pre::export!(Plugin with_types_in $crate::__private::pre);
        };
        $crate::__register!([$($pick)?] [$($next)?] $($($rest)*)?);
    };
    ([$($pick:path)?] [$($next:path)?] post_sync: $function:path $(, $($rest:tt)*)?) => {
        const _: fn(&$crate::RunContext, &$crate::RunOutcome) -> $crate::Result<$crate::Verdict> = $function;
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Plugin;
            impl $crate::__private::post::exports::heliostat::plugin::post_hook::Guest for Plugin {
                fn post_sync(
                    run: $crate::RunContext,
                    outcome: $crate::RunOutcome,
                ) -> ::core::result::Result<$crate::Verdict, $crate::HookError> {
                    $crate::__private::start();
                    $function(&run, &outcome).map_err(::core::convert::Into::into)
                }
            }
            $crate::__private::post::export!(Plugin with_types_in $crate::__private::post);
        };
        $crate::__register!([$($pick)?] [$($next)?] $($($rest)*)?);
    };
    ([] [$($next:path)?] pick: $function:path $(, $($rest:tt)*)?) => {
        $crate::__register!([$function] [$($next)?] $($($rest)*)?);
    };
    ([$($pick:path)?] [] next_delay: $function:path $(, $($rest:tt)*)?) => {
        $crate::__register!([$($pick)?] [$function] $($($rest)*)?);
    };
    ([] []) => {};
    ([$pick:path] []) => { $crate::__register!(@policy $pick, $crate::__private::default_delay); };
    ([] [$next:path]) => { $crate::__register!(@policy $crate::__private::default_order, $next); };
    ([$pick:path] [$next:path]) => { $crate::__register!(@policy $pick, $next); };
    (@policy $pick:path, $next:path) => {
        const _: fn(&$crate::View) -> $crate::Result<::std::vec::Vec<u32>> = $pick;
        const _: fn(&$crate::Finished) -> $crate::Result<::core::time::Duration> = $next;
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Plugin;
            impl $crate::__private::policy::exports::heliostat::plugin::policy::Guest for Plugin {
                fn pick(view: $crate::View) -> ::core::result::Result<::std::vec::Vec<u32>, ::std::string::String> {
                    $crate::__private::start();
                    $pick(&view).map_err(|error| ::std::string::ToString::to_string(&error))
                }
                fn next_delay(run: $crate::Finished) -> ::core::result::Result<u64, ::std::string::String> {
                    $crate::__private::start();
                    match $next(&run) {
                        Ok(delay) => Ok($crate::__private::milliseconds(delay)),
                        Err(error) => Err(::std::string::ToString::to_string(&error)),
                    }
                }
            }
            $crate::__private::policy::export!(Plugin with_types_in $crate::__private::policy);
        };
    };
}

/// What the macro's output uses. No part of what this crate promises.
#[doc(hidden)]
pub mod private {
    use std::time::Duration;

    pub use crate::answers::milliseconds;
    pub use crate::bindings::{policy, post, pre};
    pub use crate::runtime::start;
    use crate::{Finished, Result, View};

    /// The queue as it is.
    pub fn default_order(view: &View) -> Result<Vec<u32>> {
        Ok((0..).take(view.queue.len()).collect())
    }

    /// What the project's own schedule says.
    pub fn default_delay(run: &Finished) -> Result<Duration> {
        Ok(run.default_delay())
    }
}
