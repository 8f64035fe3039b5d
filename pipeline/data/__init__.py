"""From a folder of images to batches: data sets, preparation, splits, augmentation."""
