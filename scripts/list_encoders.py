"""Write src/segdistill/networks/encoders.txt: the timm encoders that make students.

    python scripts/list_encoders.py [NAME ...]

Without names it tries the encoders below, small and medium ones of many families. One that breaks a
promise of ``segdistill.testing.check_student``, or warns, is printed with the reason and left out.
"""

import sys
import warnings
from functools import partial
from pathlib import Path

import segmentation_models_pytorch
import timm
import torch

from segdistill.networks.encoder_unet import build_encoder_unet
from segdistill.testing import check_student

LIST = Path(__file__).parents[1] / "src" / "segdistill" / "networks" / "encoders.txt"

_FAMILIES = """
    resnet10t resnet14t resnet18 resnet18d resnet26 resnet26d resnet34 resnet34d resnet50 resnet50d
    resnext50_32x4d seresnet50 seresnext50_32x4d skresnet18 skresnet34 ecaresnet26t gernet_s wide_resnet50_2
    efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_lite0 efficientnet_es
    tf_efficientnet_b0 tf_efficientnetv2_b0 tf_efficientnetv2_b1 tf_efficientnetv2_s efficientnetv2_rw_t
    mobilenetv2_050 mobilenetv2_100 mobilenetv2_140
    mobilenetv3_small_050 mobilenetv3_small_075 mobilenetv3_small_100 mobilenetv3_large_075 mobilenetv3_large_100
    tf_mobilenetv3_small_minimal_100 tf_mobilenetv3_large_minimal_100
    mobilenetv4_conv_small mobilenetv4_conv_medium mobilenetv4_hybrid_medium
    mnasnet_small mnasnet_100 spnasnet_100 fbnetc_100 lcnet_050 lcnet_100 tinynet_a tinynet_e hardcorenas_a
    ghostnet_050 ghostnet_100 ghostnetv2_100 mobileone_s0 mobileone_s1 repghostnet_050 repghostnet_100
    repvgg_a0 repvgg_a1 repvit_m0_9 repvit_m1 repvit_m1_1 fastvit_t8 fastvit_sa12 starnet_s1 starnet_s2
    convnext_atto convnext_femto convnext_pico convnext_nano convnext_tiny
    convnextv2_atto convnextv2_femto convnextv2_pico convnextv2_nano convnextv2_tiny
    regnetx_002 regnetx_004 regnetx_008 regnety_002 regnety_004 regnety_008 regnety_016 regnetz_b16
    densenet121 densenet169 dla34 dla46_c dla60 hrnet_w18_small hrnet_w18 res2net50_26w_4s cspresnet50 cspdarknet53
    vgg11_bn vgg16_bn xception41 selecsls42b nf_regnet_b0 nfnet_l0 vovnet39a ese_vovnet19b_dw ese_vovnet39b hgnetv2_b0
    efficientformer_l1 efficientformerv2_s0 edgenext_xx_small edgenext_small mobilevit_xxs mobilevit_s mobilevitv2_050
    tiny_vit_5m_224 tiny_vit_11m_224 tiny_vit_21m_224 efficientvit_b0 efficientvit_b1 efficientvit_m0
    swin_tiny_patch4_window7_224 swin_small_patch4_window7_224 swinv2_tiny_window8_256 swinv2_cr_tiny_224
    pvt_v2_b0 pvt_v2_b1 pvt_v2_b2 poolformer_s12 poolformerv2_s12 caformer_s18 convformer_s18
    focalnet_tiny_srf inception_next_tiny davit_tiny nextvit_small mambaout_femto mambaout_tiny rdnet_tiny
    fasternet_t0 shvit_s1 swiftformer_xs levit_128 maxvit_tiny_tf_224 coatnet_0_rw_224 gcvit_xxtiny vit_tiny_patch16_224
"""


def main(names: list[str]) -> int:
    """Check the encoders and write the list; return 0."""
    torch.set_num_threads(1)
    warnings.simplefilter("error")  # a student that warns would warn every user
    passed = []
    for name in names:
        try:
            check_student(partial(build_encoder_unet, name))
        except Exception as error:  # whatever an encoder does wrong, it is left out and named
            reason = (str(error).splitlines() or [""])[0]
            print(f"left out: {name}: {type(error).__name__}: {reason[:160]}", flush=True)
        else:
            passed.append(name)
            print(f"passed:   {name}", flush=True)
    versions = f"timm {timm.__version__}, segmentation-models-pytorch {segmentation_models_pytorch.__version__}"
    head = f"# timm encoders that pass check_student; written by scripts/list_encoders.py with {versions}\n"
    LIST.write_text(head + "".join(f"{name}\n" for name in sorted(passed)), encoding="utf-8")
    print(f"{len(passed)} of {len(names)} encoders are listed in {LIST.name}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or _FAMILIES.split()))
