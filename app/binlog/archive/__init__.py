"""The archive of the binary log on disk: streams of files, each of sealed segments and a tail that grows."""
