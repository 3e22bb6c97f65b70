//! Simulated disk, refusing disk, fault backend, seeded trees and the tree comparator for larder's tests.

pub mod compare;
pub mod trees;
