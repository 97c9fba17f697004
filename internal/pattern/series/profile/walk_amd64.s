#include "textflag.h"

DATA lanes<>+0(SB)/8, $0
DATA lanes<>+8(SB)/8, $1
DATA lanes<>+16(SB)/8, $2
DATA lanes<>+24(SB)/8, $3
GLOBL lanes<>(SB), RODATA|NOPTR, $32

// STEP moves the products C of four diagonals to row AX and leaves their correlations in R. Row values are broadcast in
// Y4 (f), Y5 (g) and Y6 (scale); columns are at BX plus OFF in bytes.
#define STEP(C, R, OFF) \
	VFMADD231PD OFF(R9)(BX*8), Y4, C; \
	VFMADD231PD OFF(R8)(BX*8), Y5, C; \
	VMULPD OFF(R10)(BX*8), C, R;      \
	VMULPD Y6, R, R

// COLUMN keeps R where it beats the best of the columns at OFF. Y15 is the row number in every lane.
#define COLUMN(R, OFF) \
	VMOVUPD OFF(R11)(BX*8), Y12;      \
	VCMPPD $0x11, R, Y12, Y13;        \
	VBLENDVPD Y13, R, Y12, Y12;       \
	VMOVUPD Y12, OFF(R11)(BX*8);      \
	VMOVDQU OFF(R12)(BX*8), Y14;      \
	VBLENDVPD Y13, Y15, Y14, Y14;     \
	VMOVDQU Y14, OFF(R12)(BX*8)

// PICK keeps in Y12 the higher of it and R, and in Y14 the column numbers. Y15 holds those of R.
#define PICK(R) \
	VCMPPD $0x11, R, Y12, Y13;     \
	VBLENDVPD Y13, R, Y12, Y12;    \
	VBLENDVPD Y13, Y15, Y14, Y14

// func walkAVX2(df, dg, scale, best *float64, at *int64, d, whole int, c *float64)
// Bests change seldom, so a row costs one comparison for all its columns and one for the row, and the rest is left out.
TEXT ·walkAVX2(SB), NOSPLIT, $64-64
	MOVQ df+0(FP), R8
	MOVQ dg+8(FP), R9
	MOVQ scale+16(FP), R10
	MOVQ best+24(FP), R11
	MOVQ at+32(FP), R12
	MOVQ d+40(FP), DX
	MOVQ whole+48(FP), CX
	MOVQ c+56(FP), DI
	VMOVUPD 0(DI), Y0
	VMOVUPD 32(DI), Y1
	VMOVUPD 64(DI), Y2
	VMOVUPD 96(DI), Y3
	MOVQ $1, AX

row:
	CMPQ AX, CX
	JGE  done
	LEAQ (AX)(DX*1), BX
	VBROADCASTSD (R8)(AX*8), Y4
	VBROADCASTSD (R9)(AX*8), Y5
	VBROADCASTSD (R10)(AX*8), Y6
	STEP(Y0, Y8, 0)
	STEP(Y1, Y9, 32)
	STEP(Y2, Y10, 64)
	STEP(Y3, Y11, 96)

	// Is any of the sixteen better than its column?
	VMOVUPD 0(R11)(BX*8), Y12
	VMOVUPD 32(R11)(BX*8), Y13
	VCMPPD $0x11, Y8, Y12, Y12
	VCMPPD $0x11, Y9, Y13, Y13
	VORPD  Y12, Y13, Y12
	VMOVUPD 64(R11)(BX*8), Y13
	VMOVUPD 96(R11)(BX*8), Y14
	VCMPPD $0x11, Y10, Y13, Y13
	VCMPPD $0x11, Y11, Y14, Y14
	VORPD  Y13, Y14, Y13
	VORPD  Y12, Y13, Y12

	// Or better than the row? Comparisons with NaN are false.
	VBROADCASTSD (R11)(AX*8), Y7
	VCMPPD $0x11, Y8, Y7, Y13
	VCMPPD $0x11, Y9, Y7, Y14
	VORPD  Y13, Y14, Y13
	VCMPPD $0x11, Y10, Y7, Y14
	VORPD  Y13, Y14, Y13
	VCMPPD $0x11, Y11, Y7, Y14
	VORPD  Y13, Y14, Y13
	VORPD  Y12, Y13, Y14
	VPTEST Y14, Y14
	JNZ  better

next:
	INCQ AX
	JMP  row

better:
	VMOVMSKPD Y13, R13
	VPTEST Y12, Y12
	JZ   rowbest
	MOVQ AX, X15
	VPBROADCASTQ X15, Y15
	COLUMN(Y8, 0)
	COLUMN(Y9, 32)
	COLUMN(Y10, 64)
	COLUMN(Y11, 96)

rowbest:
	TESTQ R13, R13
	JZ   next

	// The best of the row: sixteen to four, then one after the other.
	VMOVAPD Y7, Y12
	VPXOR   Y14, Y14, Y14
	MOVQ    BX, X15
	VPBROADCASTQ X15, Y15
	VPADDQ  lanes<>(SB), Y15, Y15
	VPCMPEQQ Y4, Y4, Y4
	VPSLLQ  $63, Y4, Y4
	VPSRLQ  $61, Y4, Y4           // 4 in every lane
	PICK(Y8)
	VPADDQ Y4, Y15, Y15
	PICK(Y9)
	VPADDQ Y4, Y15, Y15
	PICK(Y10)
	VPADDQ Y4, Y15, Y15
	PICK(Y11)
	LEAQ picked-64(SP), R14
	VMOVUPD Y12, 0(R14)
	VMOVDQU Y14, 32(R14)
	XORQ SI, SI

lane:
	VMOVSD 0(R14)(SI*8), X12
	VUCOMISD (R11)(AX*8), X12
	JBE  skip
	VMOVSD X12, (R11)(AX*8)
	MOVQ 32(R14)(SI*8), R13
	MOVQ R13, (R12)(AX*8)

skip:
	INCQ SI
	CMPQ SI, $4
	JLT  lane
	JMP  next

done:
	VMOVUPD Y0, 0(DI)
	VMOVUPD Y1, 32(DI)
	VMOVUPD Y2, 64(DI)
	VMOVUPD Y3, 96(DI)
	VZEROUPPER
	RET
