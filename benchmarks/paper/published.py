"""What the paper says, with the table or figure that says it."""

from __future__ import annotations

# Table 1: Cityscapes at 1024x1024, SegCertify on 100 images, alpha 0.001, an A100. Percent, and
# seconds an image. Of each budget and number of passes: sigma, mean and deviation over 5 runs.
TABLE_1_LIPSCHITZ = {0.1: 81.80, 0.17: 77.34}
TABLE_1_LIPSCHITZ_SECONDS = 0.1
TABLE_1_SEGCERTIFY = {
    (0.1, 60): {"sigma": 0.3, "crpa": 53.48, "spread": 0.59, "seconds": 59.8, "times": 594},
    (0.1, 80): {"sigma": 0.2, "crpa": 83.13, "spread": 0.33, "seconds": 62.1, "times": 624},
    (0.17, 60): {"sigma": 0.4, "crpa": 38.91, "spread": 0.53, "seconds": 60.3, "times": 594},
    (0.17, 120): {"sigma": 0.2, "crpa": 84.84, "spread": 0.73, "seconds": 63.3, "times": 683},
}

# Figure 2 and section 5.2.2: samples that SegCertify needs on the same network to do better.
FIGURE_2_SAMPLES = 1000
FIGURE_2_TIMES = 2000

# Table 2: Kvasir at 256x256. Certified FNR at a budget; mean budget for a rate.
TABLE_2_FNR = {0.1: 0.612, 0.2: 0.768, 0.3: 0.871}
TABLE_2_BUDGET = {0.7: 0.423, 0.85: 0.563, 0.95: 0.675}

# Table 3: "person" of Cityscapes. Worst reachable IoU in percent, and milliseconds an image.
TABLE_3 = {0.0: 47.37, 0.01: 31.76, 0.025: 21.15, 0.05: 11.43, 0.075: 6.49, 0.1: 3.83}
TABLE_3_MILLISECONDS = 8

# Table 4: Cityscapes. Pixel accuracy and mIoU in percent.
TABLE_4 = {"LipNet": (92.07, 51.80), "AllNet": (94.41, 64.55)}

# Table 5: M1 on Pets at 128x128. Batches a second, and how many times as long as AllNet's.
TABLE_5 = {
    30: {"AllNet": 12.58, "LipNet": 5.33, "overhead": 2.36},
    100: {"AllNet": 3.94, "LipNet": 3.62, "overhead": 1.09},
}
