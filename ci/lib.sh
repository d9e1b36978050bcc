# SPDX-License-Identifier: BSD-2-Clause
# Shared by the scripts here: the names of platforms, tests and options, and
# how an emulator is started.  Sourced by bash; the folder becomes the clone's top.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 125
B=${B:-build}
QEMU=${QEMU:-qemu-system-x86_64}
BOCHS=${BOCHS:-bochs}
OVMF=${OVMF:-/usr/share/OVMF}
BOCHS_SHARE=${BOCHS_SHARE:-/usr/share/bochs}
GUEST_OPTIONS="case seed strict verbose list depth ops program replay" # what guest-tests/lib reads from a command line
MACHINE_OPTIONS="mem" # what changes the machine of a bare guest

# 125 tells `git bisect run` that this commit cannot be judged.
die() {
	echo "${0##*/}: $*" >&2
	exit 125
}

platforms() {
	(cd ci/platforms && ls)
}

# name/mode of every test of tests.list: "name modes needs"
tests() {
	[ -r guest-tests/tests.list ] || die "guest-tests/tests.list is missing"
	awk '!/^#/ { for (i = 2; i <= NF; i++) if ($i ~ /^(flat|pse|pae|64|la57)$/) print $1 "/" $i }' guest-tests/tests.list
}

# The names of hv's options, from their one table.
hv_options() {
	sed -n 's/^\t\[OPT_[A-Z0-9]*\] = { "\([a-z0-9]*\)".*/\1/p' hv/options.c
}

# Each word is a glob or a plain name; prints the names from stdin that match.  A word without a match is an error.
pick() { # what, words
	local what=$1 all word name found
	all=$(cat)
	for word in $2; do
		found=
		for name in $all; do
			# shellcheck disable=SC2053
			if [[ $name == $word ]]; then
				echo "$name"
				found=1
			fi
		done
		[ -n "$found" ] || die "unknown $what: $word"
	done
}

# Sorts name=value words into hv_words, guest_words and mem.
split_options() {
	local word name known
	hv_words='' guest_words='' mem=''
	known=$(hv_options)
	for word; do
		name=${word%%=*} used=
		case " $GUEST_OPTIONS " in *" $name "*) guest_words+=" $word" used=1 ;; esac
		case " $MACHINE_OPTIONS " in *" $name "*) mem=${word#*=} used=1 ;; esac
		case " ${known//$'\n'/ } " in *" $name "*) hv_words+=" $word" used=1 ;; esac
		[ -n "$used" ] || die "unknown option: $name"
	done
}

have() {
	command -v "$1" >/dev/null || { echo "$1 is not installed"; return 1; }
}

kvm_usable() {
	local why
	[ -r /dev/kvm ] && [ -w /dev/kvm ] || { echo "no /dev/kvm that may be opened"; return 1; }
	[ -d /sys/module/kvm_intel ] || [ -d /sys/module/kvm_amd ] || { echo "/dev/kvm is neither kvm_intel's nor kvm_amd's"; return 1; }
	why=$(echo quit | timeout -s KILL 10 "$QEMU" -accel kvm -cpu host -S -display none -monitor stdio 2>&1 >/dev/null) ||
		{ echo "QEMU cannot use KVM: ${why%%$'\n'*}"; return 1; }
}

kvm_nested() { # kvm_amd or kvm_intel
	local nested=/sys/module/$1/parameters/nested
	[ -r "$nested" ] || { echo "$1 is not loaded"; return 1; }
	case $(cat "$nested") in 1 | Y) ;; *) echo "$1 is loaded without nested=1"; return 1 ;; esac
	kvm_usable
}

# Sets the variables of one platform; CPU= in the environment overrides its processor.
platform_load() {
	[ -f "ci/platforms/$1" ] || die "unknown platform: $1"
	platform=$1
	cpu=max accel=tcg media=direct firmware='' extra='' words='' vendor=''
	probe() { :; }
	# shellcheck source=/dev/null
	. "ci/platforms/$1"
	cpu=${CPU:-$cpu}
}

# Why the platform's processor cannot run guests of a mode; empty and 0 if it can.
mode_offered() { # mode
	[ "$1" = la57 ] || return 0
	case "$machine $accel $cpu" in
	*-la57*) echo "the processor $cpu has no LA57"; return 1 ;;
	"qemu tcg max"* | *+la57*) ;;
	"qemu kvm host"*) grep -qw la57 /proc/cpuinfo || { echo "this machine's processor has no LA57"; return 1; } ;;
	*) echo "the processor $cpu has no LA57"; return 1 ;;
	esac
}

# Those tests that the platform's processor can run: $offered; which modes it cannot, and why: $left_out.
split_tests() { # tests
	local t why
	offered='' left_out=''
	for t; do
		if why=$(mode_offered "${t#*/}"); then
			offered+="${offered:+ }$t"
		else
			left_out="*/${t#*/}: $why"
		fi
	done
}

# Why the platform's tools cannot start it; empty and 0 if they can.
platform_tools() {
	if [ "$machine" = bochs ]; then
		have "$BOCHS" || return
		[ -r "$BOCHS_SHARE/BIOS-bochs-latest" ] || { echo "$BOCHS_SHARE/BIOS-bochs-latest is missing (package bochsbios)"; return 1; }
	else
		have "$QEMU" || return
	fi
	if [ "$machine" = bochs ] || [ "$media" = iso ]; then
		have grub-mkrescue && have xorriso || return
	fi
	if [ -n "$firmware" ]; then
		[ -r "$OVMF/OVMF_CODE_4M.fd" ] || { echo "$OVMF/OVMF_CODE_4M.fd is missing (package ovmf)"; return 1; }
	fi
}

# Every start: serial line on stdout, all else in $work, and never longer than the seconds given.
limited() {
	timeout --foreground -s KILL "$@" </dev/null 2>"$work/stderr" &
	echo $! >"$work/pid"
	wait $!
	echo $? >"$work/rc"
}

# For a trap: what timeout would do at its limit.
stop_machine() {
	[ ! -s "$work/pid" ] || kill -ALRM "$(cat "$work/pid")" 2>/dev/null
}

qemu_start() { # seconds, memory, more arguments
	local seconds=$1 mem=$2
	shift 2
	limited "$seconds" "$QEMU" -accel "$accel" $extra -cpu "$cpu" -m "$mem" -display none -net none -serial stdio -monitor none \
		-no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 "$@"
}

# OVMF writes to its variables, so each run has its own copy.
qemu_start_iso() { # seconds, memory, image
	local flash=()
	if [ -n "$firmware" ]; then
		cp "$OVMF/OVMF_VARS_4M.fd" "$work/vars.fd"
		flash=(-drive "if=pflash,format=raw,unit=0,readonly=on,file=$OVMF/OVMF_CODE_4M.fd"
			-drive "if=pflash,format=raw,unit=1,file=$work/vars.fd")
	fi
	qemu_start "$1" "$2" "${flash[@]}" -cdrom "$3"
}

# Bochs needs no terminal but a TERM; it ends at a tick limit too (exit status 0), the same on every machine.
bochs_start_iso() { # seconds, memory, image
	cat >"$work/bochsrc" <<-END
		display_library: term
		romimage: file=$BOCHS_SHARE/BIOS-bochs-latest
		vgaromimage: file=$BOCHS_SHARE/VGABIOS-lgpl-latest
		megs: $2
		cpu: model=$cpu, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
		ata0-master: type=cdrom, path=$3, status=inserted
		boot: cdrom
		com1: enabled=1, mode=file, dev=$work/serial
		log: $work/bochs.log
		panic: action=fatal
		error: action=report
		info: action=report
		debug: action=ignore
		clock: sync=none
		mouse: enabled=0
		speaker: enabled=0, mode=none
	END
	printf 'sb %d\nc\nq\n' $(($1 * 100000000)) >"$work/bochs.rc"
	rm -f "$work/serial"
	mkfifo "$work/serial"
	cat "$work/serial" &
	# held open: the reader ends when Bochs has ended, and not before it has begun
	TERM=vt100 limited "$1" "$BOCHS" -q -f "$work/bochsrc" -rc "$work/bochs.rc" >"$work/bochs.out" 9>"$work/serial"
	wait
	# Bochs 2.7, on its way out: the sound mixer's thread, if it wakes up late, uses an object that is gone (mixer_thread).
	if [ "$(cat "$work/rc")" = 139 ] && grep -q '>>PANIC<<' "$work/bochs.log"; then
		echo 1 >"$work/rc"
	fi
}
