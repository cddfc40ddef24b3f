//! The program of the README, compiled from the README.

include!(concat!(env!("OUT_DIR"), "/readme.rs"));
