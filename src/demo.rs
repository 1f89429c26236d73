//! Labelled images for trying packtrain without a data set: drawn shapes among clutter, the same for the same seed.
//!
//! Size, proportions, position, scale, rotation, colours, background and noise vary from image to image and say nothing of
//! the class. Knows nothing of stages.

use std::f32::consts::TAU;
use std::fs;
use std::io;
use std::path::Path;

use rayon::prelude::*;

use crate::artifact::{Picture, PictureError};
use crate::key::Hasher;

/// Images of each class.
pub const IMAGES_PER_CLASS: usize = 120;

/// Shorter and longer sides, in pixels.
const SIDES: (f32, f32) = (48.0, 160.0);

/// Channels of backgrounds and of shapes: a shape is the lighter of the two, by little at times.
const DARK: (f32, f32) = (0.0, 150.0);
const LIGHT: (f32, f32) = (90.0, 255.0);

/// What an image shows; its name is the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Circle,
    Cross,
    Ring,
    Square,
    Triangle,
}

/// Writes `<folder>/<class>/<number>.jpg` and says how many there are. A file that already has the right content is not
/// touched.
///
/// # Errors
///
/// When a folder or a file cannot be written.
pub fn write_images(folder: &Path, seed: u64) -> io::Result<usize> {
    for shape in Shape::ALL {
        fs::create_dir_all(folder.join(shape.name()))?;
    }
    let images: Vec<_> = Shape::ALL.into_iter().flat_map(|shape| (0..IMAGES_PER_CLASS).map(move |number| (shape, number))).collect();
    images.par_iter().try_for_each(|(shape, number)| {
        let bytes = encode(*shape, Dice::new(seed, *shape, *number)).map_err(io::Error::other)?;
        let path = folder.join(shape.name()).join(format!("{number:03}.jpg"));
        let present = fs::read(&path).is_ok_and(|present| present == bytes);
        if present { Ok(()) } else { fs::write(path, bytes) }
    })?;
    Ok(images.len())
}

fn encode(shape: Shape, mut dice: Dice) -> Result<Vec<u8>, PictureError> {
    let quality = dice.between(70.0, 95.0) as u8;
    Scene::roll(shape, &mut dice).render(&mut dice).encode_jpeg(quality)
}

impl Shape {
    const ALL: [Shape; 5] = [Shape::Circle, Shape::Cross, Shape::Ring, Shape::Square, Shape::Triangle];

    fn name(self) -> &'static str {
        match self {
            Shape::Circle => "circle",
            Shape::Cross => "cross",
            Shape::Ring => "ring",
            Shape::Square => "square",
            Shape::Triangle => "triangle",
        }
    }

    /// Signed distance of a point from the outline of the shape of radius 1 about the origin; negative inside.
    fn distance(self, [x, y]: [f32; 2]) -> f32 {
        let bar = |x: f32, y: f32| (x.abs() - 1.0).max(y.abs() - 0.36);
        match self {
            Shape::Circle => x.hypot(y) - 0.92,
            Shape::Cross => bar(x, y).min(bar(y, x)),
            Shape::Ring => (x.hypot(y) - 0.72).abs() - 0.24,
            Shape::Square => x.abs().max(y.abs()) - 0.8,
            Shape::Triangle => (x.abs() * 0.866 + y * 0.5).max(-y) - 0.55,
        }
    }
}

type Colour = [f32; 3];

/// Everything in an image but its noise.
struct Scene {
    width: usize,
    height: usize,
    background: Stripes,
    /// Behind the shape, then in front of it.
    clutter: [Vec<Blob>; 2],
    shape: Shape,
    place: Place,
    filling: Stripes,
    /// Greatest deviation of a channel by noise.
    noise: f32,
}

/// Two colours that fade into each other along a direction, once or many times.
struct Stripes {
    colours: [Colour; 2],
    direction: [f32; 2],
    /// Radians per pixel.
    frequency: f32,
    phase: f32,
}

/// Where a shape lies, how large it is and how it is turned.
struct Place {
    centre: [f32; 2],
    radius: f32,
    cosine: f32,
    sine: f32,
}

/// A short bar or a dot that belongs to no class.
struct Blob {
    place: Place,
    length: f32,
    colour: Colour,
}

impl Scene {
    fn roll(shape: Shape, dice: &mut Dice) -> Scene {
        let (width, height) = (dice.between(SIDES.0, SIDES.1), dice.between(SIDES.0, SIDES.1));
        let side = width.min(height);
        let background = Stripes::roll(dice, side, DARK);
        let behind = (0..dice.between(1.0, 6.0) as usize).map(|_| Blob::roll(dice, width, height)).collect();
        let before = (0..dice.between(0.0, 2.5) as usize).map(|_| Blob::roll(dice, width, height)).collect();
        let radius = side * dice.between(0.26, 0.44);
        // Within the square in the middle, which is what remains when the image is packed.
        let slack = side / 2.0 - radius * 0.9;
        let offset = |dice: &mut Dice| dice.between(-slack, slack);
        let centre = [width / 2.0 + offset(dice), height / 2.0 + offset(dice)];
        let place = Place::roll(dice, centre, radius, TAU / 14.0);
        let filling = Stripes::roll(dice, side, LIGHT);
        let noise = dice.between(0.0, 30.0);
        Scene { width: width as usize, height: height as usize, background, clutter: [behind, before], shape, place, filling, noise }
    }

    fn render(&self, dice: &mut Dice) -> Picture {
        let mut pixels = Vec::with_capacity(self.width * self.height * 3);
        for y in 0..self.height {
            for x in 0..self.width {
                let colour = self.colour([x as f32 + 0.5, y as f32 + 0.5]);
                pixels.extend(colour.map(|value| (value + dice.between(-self.noise, self.noise)).round() as u8));
            }
        }
        Picture { width: self.width, height: self.height, pixels }
    }

    fn colour(&self, point: [f32; 2]) -> Colour {
        let [behind, before] = &self.clutter;
        let colour = behind.iter().fold(self.background.colour(point), |under, blob| blob.over(under, point));
        let edge = self.shape.distance(self.place.local(point)) * self.place.radius;
        let colour = mix(colour, self.filling.colour(point), coverage(edge));
        before.iter().fold(colour, |under, blob| blob.over(under, point))
    }
}

impl Stripes {
    fn roll(dice: &mut Dice, side: f32, channel: (f32, f32)) -> Stripes {
        let colour = dice.colour(channel);
        let angle = dice.between(0.0, TAU);
        let waves = if dice.between(0.0, 1.0) < 0.5 { dice.between(0.2, 0.8) } else { dice.between(2.0, 9.0) };
        Stripes {
            colours: [colour, mix(colour, dice.colour(channel), 0.6)],
            direction: [angle.cos(), angle.sin()],
            frequency: waves * TAU / side,
            phase: dice.between(0.0, TAU),
        }
    }

    fn colour(&self, [x, y]: [f32; 2]) -> Colour {
        let along = x * self.direction[0] + y * self.direction[1];
        mix(self.colours[0], self.colours[1], 0.5 + 0.5 * (along * self.frequency + self.phase).sin())
    }
}

impl Place {
    fn roll(dice: &mut Dice, centre: [f32; 2], radius: f32, turn: f32) -> Place {
        let angle = dice.between(-turn, turn);
        Place { centre, radius, cosine: angle.cos(), sine: angle.sin() }
    }

    /// The point as the shape of radius 1 about the origin sees it.
    fn local(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (x, y) = ((x - self.centre[0]) / self.radius, (y - self.centre[1]) / self.radius);
        [x * self.cosine + y * self.sine, y * self.cosine - x * self.sine]
    }
}

impl Blob {
    fn roll(dice: &mut Dice, width: f32, height: f32) -> Blob {
        let centre = [dice.between(0.0, width), dice.between(0.0, height)];
        let radius = width.min(height) * dice.between(0.02, 0.06);
        Blob { place: Place::roll(dice, centre, radius, TAU), length: dice.between(0.0, 5.0), colour: dice.colour((0.0, 255.0)) }
    }

    fn over(&self, under: Colour, point: [f32; 2]) -> Colour {
        let [x, y] = self.place.local(point);
        let beyond = (x.abs() - self.length).max(0.0);
        mix(under, self.colour, coverage((beyond.hypot(y) - 1.0) * self.place.radius))
    }
}

/// How much of a pixel lies inside an outline at this distance, in pixels.
fn coverage(distance: f32) -> f32 {
    (0.5 - distance).clamp(0.0, 1.0)
}

fn mix(from: Colour, to: Colour, share: f32) -> Colour {
    [0, 1, 2].map(|channel| from[channel] + (to[channel] - from[channel]) * share)
}

/// SplitMix64 (Steele, Lea and Flood, 2014), begun at a hash of what is to be drawn.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, shape: Shape, number: usize) -> Dice {
        let mut hasher = Hasher::new("packtrain demo image");
        hasher.field(&seed.to_le_bytes()).field(shape.name().as_bytes()).field(&(number as u64).to_le_bytes());
        let digest = hasher.finish();
        Dice(digest.as_bytes().iter().take(8).fold(0, |state, byte| state << 8 | u64::from(*byte)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// Uniform in `[low, high)`.
    fn between(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.next() >> 40) as f32 / (1_u64 << 24) as f32;
        low + (high - low) * unit
    }

    fn colour(&mut self, (low, high): (f32, f32)) -> Colour {
        [0; 3].map(|_| self.between(low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Digest;

    fn digest(folder: &Path) -> Digest {
        let mut hasher = Hasher::new("test");
        for shape in Shape::ALL {
            for number in 0..IMAGES_PER_CLASS {
                hasher.field(&fs::read(folder.join(shape.name()).join(format!("{number:03}.jpg"))).unwrap());
            }
        }
        hasher.finish()
    }

    #[test]
    fn the_seed_decides_about_every_byte() {
        let folder = tempfile::tempdir().unwrap();
        write_images(folder.path(), 1).unwrap();
        let first = digest(folder.path());
        let written = fs::metadata(folder.path().join("ring/007.jpg")).unwrap().modified().unwrap();
        write_images(folder.path(), 1).unwrap();
        assert_eq!(digest(folder.path()), first);
        assert_eq!(fs::metadata(folder.path().join("ring/007.jpg")).unwrap().modified().unwrap(), written);
        write_images(folder.path(), 2).unwrap();
        assert_ne!(digest(folder.path()), first);
    }

    #[test]
    fn images_vary_in_size_and_can_be_decoded() {
        let folder = tempfile::tempdir().unwrap();
        write_images(folder.path(), 1).unwrap();
        let sizes: Vec<(usize, usize)> = (0..IMAGES_PER_CLASS)
            .map(|number| Picture::decode(&fs::read(folder.path().join(format!("cross/{number:03}.jpg"))).unwrap()).unwrap())
            .map(|picture| (picture.width, picture.height))
            .collect();
        assert!(sizes.iter().all(|(width, height)| (48..160).contains(width) && (48..160).contains(height)));
        assert!(sizes.iter().any(|(width, height)| *width > 2 * height) && sizes.iter().any(|(width, height)| *height > 2 * width));
    }
}
