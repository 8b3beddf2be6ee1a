//! What `wit-bindgen` makes of the contract in `wit/heliostat.wit`.
//!
//! `imports` holds every import and every type; the worlds after it use those and add an `export!` macro each, so that a
//! plugin exports exactly what it registers.

#![expect(
    missing_docs,
    clippy::same_length_and_capacity,
    reason = "generated; what is public of it is documented by the contract"
)]

pub mod imports {
    wit_bindgen::generate!({
        inline: "
            package heliostat:sdk;
            world everything {
                include heliostat:plugin/imports@0.1.0;
                import heliostat:plugin/types@0.1.0;
            }
        ",
        path: "wit",
        generate_all,
        additional_derives: [PartialEq, Eq],
    });
}

pub mod pre {
    wit_bindgen::generate!({
        world: "pre",
        path: "wit",
        pub_export_macro: true,
        with: {
            "heliostat:plugin/types@0.1.0": crate::bindings::imports::heliostat::plugin::types,
            "heliostat:plugin/log@0.1.0": crate::bindings::imports::heliostat::plugin::log,
            "heliostat:plugin/config@0.1.0": crate::bindings::imports::heliostat::plugin::config,
            "heliostat:plugin/kv@0.1.0": crate::bindings::imports::heliostat::plugin::kv,
            "heliostat:plugin/clock@0.1.0": crate::bindings::imports::heliostat::plugin::clock,
            "heliostat:plugin/random@0.1.0": crate::bindings::imports::heliostat::plugin::random,
            "heliostat:plugin/http@0.1.0": crate::bindings::imports::heliostat::plugin::http,
            "heliostat:plugin/dest@0.1.0": crate::bindings::imports::heliostat::plugin::dest,
        },
    });
}

pub mod post {
    wit_bindgen::generate!({
        world: "post",
        path: "wit",
        pub_export_macro: true,
        with: {
            "heliostat:plugin/types@0.1.0": crate::bindings::imports::heliostat::plugin::types,
            "heliostat:plugin/log@0.1.0": crate::bindings::imports::heliostat::plugin::log,
            "heliostat:plugin/config@0.1.0": crate::bindings::imports::heliostat::plugin::config,
            "heliostat:plugin/kv@0.1.0": crate::bindings::imports::heliostat::plugin::kv,
            "heliostat:plugin/clock@0.1.0": crate::bindings::imports::heliostat::plugin::clock,
            "heliostat:plugin/random@0.1.0": crate::bindings::imports::heliostat::plugin::random,
            "heliostat:plugin/http@0.1.0": crate::bindings::imports::heliostat::plugin::http,
            "heliostat:plugin/dest@0.1.0": crate::bindings::imports::heliostat::plugin::dest,
        },
    });
}

pub mod policy {
    wit_bindgen::generate!({
        world: "scheduler",
        path: "wit",
        pub_export_macro: true,
        additional_derives: [PartialEq, Eq],
        with: {
            "heliostat:plugin/types@0.1.0": crate::bindings::imports::heliostat::plugin::types,
            "heliostat:plugin/log@0.1.0": crate::bindings::imports::heliostat::plugin::log,
            "heliostat:plugin/config@0.1.0": crate::bindings::imports::heliostat::plugin::config,
        },
    });
}
