"""Build the compiled module of app/engine/native; where that cannot be done, the wheel is pure and all works without."""

import sys
import sysconfig
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


_FOLDER = Path("app/engine/native")
_NAME = "app.engine.native._row_text"
# No -march: what is shipped runs on any processor of its kind. -g0: or it is ten times as large.
_FLAGS = ["-std=c++17", "-O3", "-g0", "-fvisibility=hidden"]


class NativeHook(BuildHookInterface):  # type: ignore[misc, type-arg]  # hatchling types it loosely
    """Compiles into the source tree, where an editable installation looks for it."""

    def initialize(self, version: str, build_data: dict[str, object]) -> None:
        """Compile for the interpreter that builds, and name the result to the wheel."""
        del version
        if self.target_name != "wheel":
            return
        built = Path(self.root, _FOLDER, f"_row_text{sysconfig.get_config_var('EXT_SUFFIX')}")
        built.unlink(missing_ok=True)  # one of an older source must not stay when this fails
        try:
            _compile(Path(self.root))
        except BaseException as exc:  # setuptools exits, compilers and imports fail in many ways
            if isinstance(exc, KeyboardInterrupt):
                raise
            sys.stderr.write(f"no compiled module, the server formats rows: {exc}\n")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"] = [f"/{_FOLDER}/{built.name}"]


def _compile(root: Path) -> None:
    # Imported here: without them, the rest is built all the same.
    from Cython.Build import cythonize  # noqa: PLC0415
    from setuptools import Distribution, Extension  # noqa: PLC0415

    folder = root / _FOLDER
    with tempfile.TemporaryDirectory() as work:
        extension = Extension(
            _NAME,
            [str(_FOLDER / "_row_text.pyx")],
            include_dirs=[str(folder)],
            extra_compile_args=_FLAGS,
            extra_link_args=["-s"],
        )
        modules = cythonize([extension], build_dir=work, quiet=True)
        command = Distribution({"ext_modules": modules}).get_command_obj("build_ext")
        command.build_temp, command.build_lib, command.inplace = work, work, False
        command.ensure_finalized()
        command.run()
        made = Path(command.get_ext_fullpath(_NAME))
        (folder / made.name).write_bytes(made.read_bytes())
