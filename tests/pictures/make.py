# Writes the pictures in this folder, what people have in theirs: python make.py FOLDER. Pillow 13, OpenCV for 16 bits.
import sys, numpy as np, cv2
from PIL import Image
out = sys.argv[1]
# Smooth, so that JPEG is nearly lossless: red grows to the right, green downwards.
y, x = np.mgrid[0:16, 0:24]
rgb = np.stack([x * 10, y * 15, np.full_like(x, 60)], -1).astype(np.uint8)
image = Image.fromarray(rgb)
image.save(f"{out}/baseline.jpg", quality=95, subsampling=0)
image.save(f"{out}/progressive.jpg", quality=95, subsampling=0, progressive=True)
image.convert("L").save(f"{out}/gray.jpg", quality=95)
image.convert("CMYK").save(f"{out}/cmyk.jpg", quality=95)  # Adobe's inverted CMYK
for orientation in (3, 6):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(f"{out}/exif-{orientation}.jpg", quality=95, subsampling=0, exif=exif)
image.save(f"{out}/rgb.png")
image.quantize(256).save(f"{out}/palette.png")
alpha = image.convert("RGBA")
alpha.putalpha(Image.fromarray((x * 10).astype(np.uint8)))
alpha.save(f"{out}/alpha.png")
cv2.imwrite(f"{out}/rgb-16.png", rgb[..., ::-1].astype(np.uint16) * 257)
image.save(f"{out}/webp-named.png", format="WEBP", lossless=True)
image.save(f"{out}/rgb.bmp")
image.quantize(256).save(f"{out}/animated.gif", save_all=True, append_images=[Image.new("P", image.size)])
# JPEG with component ids from 0: the ids in the frame and scan headers are changed by hand.
data = bytearray(open(f"{out}/baseline.jpg", "rb").read())
frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
for i in range(3):
    data[frame + 10 + 3 * i] = i
    data[scan + 5 + 2 * i] = i
open(f"{out}/component-ids-from-0.jpg", "wb").write(data)
# YCCK: the same CMYK file with Adobe's transform flag, decoded by Pillow for reference.
data = bytearray(open(f"{out}/cmyk.jpg", "rb").read())
data[data.index(b"Adobe") + 11] = 2
open(f"{out}/ycck.jpg", "wb").write(data)
for name in ("baseline.jpg", "cmyk.jpg", "ycck.jpg", "gray.jpg", "component-ids-from-0.jpg"):
    pixels = np.asarray(Image.open(f"{out}/{name}").convert("RGB"))
    print(name, pixels[0, 0], pixels[15, 0], pixels[0, 23], pixels[15, 23])
# Photographs with halved chroma (of 4:2:2 libjpeg-turbo takes coarser chroma than there is), and what libjpeg-turbo makes of them at an eighth and a quarter of their size.
y, x = np.mgrid[0:152, 0:200]
waves = [120 + 80 * np.sin(x / 31 + y / 47) + 25 * np.sin(x * 0.3 - y * 0.2), 110 + 90 * np.cos(x / 23 - y / 37), 90 + 70 * np.sin(y / 19) + 20 * np.cos(x * 0.3)]
photograph = Image.fromarray(np.clip(np.stack(waves, -1), 0, 255).astype(np.uint8))
photograph.save(f"{out}/photograph.jpg", quality=90, subsampling=2, restart_marker_rows=3)
exif = Image.Exif()
exif[0x0112] = 6
photograph.save(f"{out}/photograph-exif-6.jpg", quality=90, subsampling=2, optimize=True, exif=exif)
for name, scale in (("photograph.jpg", 8), ("photograph.jpg", 4), ("photograph-exif-6.jpg", 4)):
    image = Image.open(f"{out}/{name}")
    image.draft("RGB", (200 // scale, 152 // scale))
    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    print(name, width, height, [pixels[height * i // 5, width * i // 5].tolist() for i in range(5)])
# The book's layout, by its HDF5DatasetWriter.
import h5py
with h5py.File(f"{out}/book.hdf5", "w") as db:
    images = db.create_dataset("images", (2, 2, 3, 3), dtype="float")
    labels = db.create_dataset("labels", (2,), dtype="int")
    images[0:2] = np.arange(36).reshape(2, 2, 3, 3) * 7.0
    labels[0:2] = [1, 0]
    names = db.create_dataset("label_names", (2,), dtype=h5py.special_dtype(vlen=str))
    names[:] = ["cat", "dög"]
