//! Writes the C bindings of one of the contract's worlds: `c-bindings WIT-FOLDER WORLD TARGET-FOLDER`.
//!
//! `WORLD.h` and `WORLD.c` are what a plugin in C includes and is compiled with, `WORLD_component_type.o` tells the
//! linker what the component is.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [contract, world, target] = arguments.as_slice() else {
        return Err("usage: c-bindings WIT-FOLDER WORLD TARGET-FOLDER".into());
    };
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(contract)?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files)?;
    fs::create_dir_all(target)?;
    for (name, content) in files.iter() {
        fs::write(Path::new(target).join(name), content)?;
    }
    Ok(())
}
